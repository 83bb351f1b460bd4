"""From a network description to an image: NIR import, quantiser, compiler, image files, spike encoders."""
