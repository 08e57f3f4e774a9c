# fish completion for edge-hub; printed by `edge-hub completion fish`. The program itself knows what fits.
function __edge_hub
 set -l tokens (commandline -opc)
 set -l cur (commandline -ct)
 for line in (edge-hub __complete $tokens[2..-1] "$cur" 2>/dev/null)
  switch $line
   case :files
    __fish_complete_path "$cur"
   case :open
   case '*'
    echo $line
  end
 end
end
complete -c edge-hub -f -a '(__edge_hub)'
