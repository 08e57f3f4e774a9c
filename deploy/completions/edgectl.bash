# bash completion for edgectl; printed by `edgectl completion bash`.
_edgectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= w i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case $w in
		--dir | --run-dir | --socket | --config | --key-file | -o | --since | --until | --series | --stream | --limit | -n | --from | --to | --device | --every | --units | --baud | --parity | --stop-bits | --timeout | --table | --type | --word-order | --scale | --profile | --want | --for | --scan | --why | --release | --updater-dir | --delta-from | --key | --snapshot | --timestamp) ((i++)) ;;
		-*) ;;
		*) cmd=$w; break ;;
		esac
	done
	case $prev in
	--dir | --run-dir | --socket | --config | --key-file)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		compopt -o filenames 2>/dev/null
		return ;;
	--stream) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete streams 2>/dev/null)" -- "$cur"); return ;;
	--series) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete series 2>/dev/null)" -- "$cur"); return ;;
	--since | --until) mapfile -t COMPREPLY < <(compgen -W "1h 24h 7d today yesterday" -- "$cur"); return ;;
	--scan) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete lines 2>/dev/null)" -- "$cur"); return ;;
	-o) mapfile -t COMPREPLY < <(compgen -W "wide json" -- "$cur"); return ;;
	--table) mapfile -t COMPREPLY < <(compgen -W "holding input coil discrete" -- "$cur"); return ;;
	--type) mapfile -t COMPREPLY < <(compgen -W "uint16 int16 uint32 int32 uint64 int64 float32 float64 bcd16 bcd32" -- "$cur"); return ;;
	--word-order) mapfile -t COMPREPLY < <(compgen -W "big little" -- "$cur"); return ;;
	--parity) mapfile -t COMPREPLY < <(compgen -W "none even odd none,even" -- "$cur"); return ;;
	--baud) mapfile -t COMPREPLY < <(compgen -W "2400 4800 9600 19200 38400 57600 115200" -- "$cur"); return ;;
	--profile) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete profiles 2>/dev/null)" -- "$cur"); return ;;
	ack) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete faults 2>/dev/null)" -- "$cur"); return ;;
	esac
	local flags="--json --utc --dir --run-dir --socket --config --help -o"
	case $cmd in
	query) flags+=" --since --until --series --stream --limit" ;;
	tail) flags+=" -f -n" ;;
	sensors) flags+=" --watch --every" ;;
	scan) flags+=" --list --units --baud" ;;
	modbus) flags+=" --units --baud --parity --stop-bits --timeout --table --type --word-order --scale --profile" ;;
	node) flags+=" --want --for --scan --yes -n" ;;
	update) flags+=" --watch --every --until --why --release --retry --dry-run" ;;
	release) flags+=" --key --snapshot --timestamp --delta-from" ;;
	log) flags+=" --stream --series --since --until --from --to --csv --portable --lines --since-delivered --device --dry-run --yes --key-file" ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
		return
	fi
	case $cmd in
	"" | help) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete commands 2>/dev/null)" -- "$cur") ;;
	tail) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete streams 2>/dev/null)" -- "$cur") ;;
	sensors) mapfile -t COMPREPLY < <(compgen -W "watch $(edgectl __complete series 2>/dev/null)" -- "$cur") ;;
	scan) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete ports 2>/dev/null)" -- "$cur") ;;
	modbus)
		if [[ $prev == modbus ]]; then
			mapfile -t COMPREPLY < <(compgen -W "scan read profiles" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete ports 2>/dev/null)" -- "$cur")
		fi ;;
	update)
		case $prev in
		update) mapfile -t COMPREPLY < <(compgen -W "explain history events hold unhold pause resume abort retry import diag" -- "$cur") ;;
		import) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); compopt -o filenames 2>/dev/null ;;
		diag) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null ;;
		esac ;;
	release)
		if [[ $prev == release ]]; then
			mapfile -t COMPREPLY < <(compgen -W "prepare add freeze sign publish verify" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			compopt -o filenames 2>/dev/null
		fi ;;
	explain) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete codes 2>/dev/null)" -- "$cur") ;;
	faults) mapfile -t COMPREPLY < <(compgen -W "ack" -- "$cur") ;;
	node)
		case $prev in
		node) mapfile -t COMPREPLY < <(compgen -W "list show set flash monitor" -- "$cur") ;;
		show | set | flash | monitor) mapfile -t COMPREPLY < <(compgen -W "$(edgectl __complete nodes 2>/dev/null)" -- "$cur") ;;
		*)
			if [[ " ${COMP_WORDS[*]} " == *" flash "* ]]; then
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				compopt -o filenames 2>/dev/null
			elif [[ " ${COMP_WORDS[*]} " == *" set "* ]]; then
				mapfile -t COMPREPLY < <(compgen -S = -W "$(edgectl __complete settings 2>/dev/null) clock output command" -- "$cur")
				compopt -o nospace 2>/dev/null
			fi ;;
		esac ;;
	log)
		if [[ $prev == log ]]; then
			mapfile -t COMPREPLY < <(compgen -W "verify inspect dump size salvage export import erase" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			compopt -o filenames 2>/dev/null
		fi ;;
	completion) mapfile -t COMPREPLY < <(compgen -W "bash" -- "$cur") ;;
	esac
}
complete -F _edgectl edgectl
