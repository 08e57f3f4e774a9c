# bash completion for edgectl; printed by `edgectl completion bash`.
# Names of the box that the line is about: _edgectl sets where.
_edgectl_names() { edgectl "${where[@]}" __complete "$1" 2>/dev/null; }
_edgectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= w i where=()
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		case ${COMP_WORDS[i]} in
		--dir | --run-dir | --socket | --config) where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}") ;;
		esac
	done
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case $w in
		--dir | --run-dir | --socket | --config | --key-file | -o | --since | --until | --series | --stream | --limit | -n | --from | --to | --device | --every | --units | --baud | --parity | --stop-bits | --timeout | --table | --type | --word-order | --scale | --profile | --want | --for | --scan | --why | --release | --updater-dir | --root | --trust | --model | --npu-dir | --name | --delta-from | --key | --snapshot | --timestamp) ((i++)) ;;
		-*) ;;
		*) cmd=$w; break ;;
		esac
	done
	case $prev in
	--dir | --run-dir | --socket | --config | --key-file | --npu-dir | --updater-dir | --root | --trust)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		compopt -o filenames 2>/dev/null
		return ;;
	--stream) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names streams)" -- "$cur"); return ;;
	--series) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names series)" -- "$cur"); return ;;
	--name) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names pipelines)" -- "$cur"); return ;;
	--since | --until) mapfile -t COMPREPLY < <(compgen -W "1h 24h 7d today yesterday" -- "$cur"); return ;;
	--scan) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names lines)" -- "$cur"); return ;;
	-o) mapfile -t COMPREPLY < <(compgen -W "wide json" -- "$cur"); return ;;
	--table) mapfile -t COMPREPLY < <(compgen -W "holding input coil discrete" -- "$cur"); return ;;
	--type) mapfile -t COMPREPLY < <(compgen -W "uint16 int16 uint32 int32 uint64 int64 float32 float64 bcd16 bcd32" -- "$cur"); return ;;
	--word-order) mapfile -t COMPREPLY < <(compgen -W "big little" -- "$cur"); return ;;
	--parity) mapfile -t COMPREPLY < <(compgen -W "none even odd none,even" -- "$cur"); return ;;
	--baud) mapfile -t COMPREPLY < <(compgen -W "2400 4800 9600 19200 38400 57600 115200" -- "$cur"); return ;;
	--profile) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names profiles)" -- "$cur"); return ;;
	ack) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names faults)" -- "$cur"); return ;;
	esac
	local flags="--json --utc --dir --run-dir --socket --config --help -o"
	case $cmd in
	query) flags+=" --since --until --series --stream --limit" ;;
	tail) flags+=" -f -n" ;;
	sensors) flags+=" --watch --every" ;;
	scan) flags+=" --list --units --baud" ;;
	modbus) flags+=" --units --baud --parity --stop-bits --timeout --table --type --word-order --scale --profile" ;;
	node) flags+=" --want --for --scan --yes -n" ;;
	update) flags+=" --watch --every --until --why --release --retry --dry-run --updater-dir --root --trust" ;;
	release) flags+=" --key --snapshot --timestamp --delta-from" ;;
	log) flags+=" --stream --series --since --until --from --to --csv --portable --lines --since-delivered --device --dry-run --yes --key --key-file" ;;
	pipeline) flags+=" --since --name --limit" ;;
	npu) flags+=" --model --npu-dir" ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
		return
	fi
	case $cmd in
	"" | help) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names commands)" -- "$cur") ;;
	tail) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names streams)" -- "$cur") ;;
	sensors) mapfile -t COMPREPLY < <(compgen -W "watch $(_edgectl_names series)" -- "$cur") ;;
	scan) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names ports)" -- "$cur") ;;
	modbus)
		if [[ $prev == modbus ]]; then
			mapfile -t COMPREPLY < <(compgen -W "scan read profiles" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names ports)" -- "$cur")
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
	explain) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names codes)" -- "$cur") ;;
	faults) mapfile -t COMPREPLY < <(compgen -W "ack" -- "$cur") ;;
	node)
		case $prev in
		node) mapfile -t COMPREPLY < <(compgen -W "list show set flash monitor" -- "$cur") ;;
		show | set | flash | monitor) mapfile -t COMPREPLY < <(compgen -W "$(_edgectl_names nodes)" -- "$cur") ;;
		*)
			if [[ " ${COMP_WORDS[*]} " == *" flash "* ]]; then
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				compopt -o filenames 2>/dev/null
			elif [[ " ${COMP_WORDS[*]} " == *" set "* ]]; then
				mapfile -t COMPREPLY < <(compgen -S = -W "$(_edgectl_names settings) clock output command" -- "$cur")
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
	pipeline) mapfile -t COMPREPLY < <(compgen -W "try" -- "$cur") ;;
	completion) mapfile -t COMPREPLY < <(compgen -W "bash" -- "$cur") ;;
	esac
}
complete -F _edgectl edgectl
