// Behaviour of the ECP5's 18-kbit block RAM as far as yosys uses it for spikeloom (Lattice FPGA-TN-02204, ECP5 memory usage guide):
// port A writes and port B reads, both with one clock and of one width. Up to 18 bits port A reads as well; 36 bits take the data pins of
// both ports, lower half first. No output registers, no reset. In wide modes the lowest address bits are write enables of bytes of 9 bits.
// The part does not say what B reads of a word that A writes at the same time: here it is inverted. sim/gate_level.py checks connections.
module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "ENABLED";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
  parameter [319:0] INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0;
  parameter [319:0] INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0, INITVAL_0F = 0;
  parameter [319:0] INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0;
  parameter [319:0] INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0, INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0;
  parameter [319:0] INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0, INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0;
  parameter [319:0] INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0;
  parameter [319:0] INITVAL_30 = 0, INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0;
  parameter [319:0] INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0;
  localparam [20479:0] INIT = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
    INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
    INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
    INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
    INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
    INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
    INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
    INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
  };

  generate
    if (DATA_WIDTH_A != DATA_WIDTH_B) $error("DP16KD: no model of ports of different widths");
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") $error("DP16KD: no model of output registers");
    if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") $error("DP16KD: no model of chip select");
    if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB") $error("DP16KD: no model of inverted clocks");
    if (WRITEMODE_A != "NORMAL" && WRITEMODE_A != "READBEFOREWRITE") $error("DP16KD: no model of write mode %s", WRITEMODE_A);
    case (DATA_WIDTH_A)
      1, 2, 4, 9, 18, 36: ;
      default: $error("DP16KD: no model of width %0d", DATA_WIDTH_A);
    endcase
  endgenerate

  wire [17:0] dia = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] dib = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire [13:0] ada = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] adb = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  reg [17:0] doa, dob;
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = doa;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = dob;

  // 512 words of 36 bits, of four bytes of 9.
  localparam WIDE = DATA_WIDTH_A == 36;
  localparam HALF = DATA_WIDTH_A == 18;
  localparam SELECTED = DATA_WIDTH_A == 9 ? 14'h3ff8 : DATA_WIDTH_A == 4 ? 14'h3ffc : DATA_WIDTH_A == 2 ? 14'h3ffe : 14'h3fff;
  localparam [35:0] LOWEST = (36'd1 << DATA_WIDTH_A) - 36'd1;
  reg [35:0] memory[0:511];

  // First bit of an address within its word of 36 bits. Narrower words than 9 bits leave the ninth bit of each byte alone.
  function [5:0] place(input [13:0] address);
    place = WIDE ? 6'd0 : 6'd9 * {4'd0, address[4:3] & {1'b1, !HALF}} + {3'd0, HALF || DATA_WIDTH_A == 9 ? 3'd0 : address[2:0] & SELECTED[2:0]};
  endfunction

  // Bits of the word of 36 that are written.
  wire [ 3:0] bytes = WIDE ? ada[3:0] : HALF ? {2'b00, ada[1:0]} : 4'b1111;
  wire [35:0] enabled = {{9{bytes[3]}}, {9{bytes[2]}}, {9{bytes[1]}}, {9{bytes[0]}}} & LOWEST;
  wire [35:0] mask = enabled << place(ada);
  wire [35:0] data = (WIDE ? {dib, dia} : {18'd0, dia}) << place(ada);
  wire        writes = CEA && WEA;
  wire [35:0] old = memory[ada[13:5]];
  wire [35:0] collided = writes && ada[13:5] == adb[13:5] ? mask : 36'd0;
  wire [35:0] found = ((memory[adb[13:5]] ^ collided) >> place(adb)) & LOWEST;
  wire [35:0] own = (old >> place(ada)) & LOWEST;

  always @(posedge CLKA) begin
    if (writes) memory[ada[13:5]] <= (old & ~mask) | (data & mask);
    if (CEB) dob <= WIDE ? found[35:18] : found[17:0];
    if (WIDE) begin
      if (CEB) doa <= found[17:0];
    end else if (CEA && (!WEA || WRITEMODE_A == "READBEFOREWRITE")) begin
      doa <= own[17:0];
    end
  end

  // An initial value holds 16 words of 18 bits, each in 20.
  integer i;
  initial begin
    doa = 0;
    dob = 0;
    for (i = 0; i < 512; i = i + 1) memory[i] = {INIT[20*(2*i+1)+:18], INIT[20*(2*i)+:18]};
  end
endmodule
