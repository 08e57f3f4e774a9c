# bash completion for edge-hub; printed by `edge-hub completion bash`. The program itself knows what fits.
_edge_hub() {
 local cur=${COMP_WORDS[COMP_CWORD]} line
 COMPREPLY=()
 while IFS= read -r line; do
  case $line in
  :files)
   while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
   compopt -o filenames 2>/dev/null ;;
  :open) compopt -o nospace 2>/dev/null ;;
  *) COMPREPLY+=("$line") ;;
  esac
 done < <(edge-hub __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _edge_hub edge-hub
