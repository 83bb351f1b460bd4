"""The golden model: plain numpy integers that define the behaviour of every block, bit for bit."""
