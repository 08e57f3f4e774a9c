# registers.csv to the C header that the firmware is built with. The first five columns hold no commas.
BEGIN { FS = ","; print "/* Made from registers.csv by registers.awk. */\n#ifndef REGISTERS_H\n#define REGISTERS_H" }
NR > 1 { printf "#define REG_%s %su\n#define WORDS_%s %su\n", $2, $1, $2, $3 }
END { print "#endif" }
