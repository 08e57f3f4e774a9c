# fish completion for edgectl; printed by `edgectl completion fish`. The program itself knows what fits.
function __edgectl
	set -l tokens (commandline -opc)
	set -l cur (commandline -ct)
	for line in (edgectl __complete $tokens[2..-1] "$cur" 2>/dev/null)
		switch $line
			case :files
				__fish_complete_path "$cur"
			case :open
			case '*'
				echo $line
		end
	end
end
complete -c edgectl -f -a '(__edgectl)'
