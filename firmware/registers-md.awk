# registers.csv to the rows of the table in REGISTERS.md.
BEGIN { FS = "," }
NR > 1 {
	meaning = $0
	for (i = 0; i < 5; i++) sub(/^[^,]*,/, "", meaning)
	gsub(/^"|"$/, "", meaning)
	printf "| %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, meaning
}
