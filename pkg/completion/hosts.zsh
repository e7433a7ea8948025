#compdef castbucket-proxy castbucket-shell
# For zsh's site-functions, as _castbucket-proxy and _castbucket-shell: each program's own help says
# which options it has, and which of them are followed by a file.
local text before=$words[CURRENT-1]
text=$($words[1] --help 2>/dev/null | grep -E '^  ?-|^Usage:')
if [[ $words[CURRENT] == -* ]]; then
    compadd -- $(grep -oE '(^| |\[)--?[a-z][a-z-]*' <<<$text | tr -d ' [' | sort -u)
elif [[ $before == -* ]] && grep -qE -e "^  $before FILE( |\$)" <<<$text; then
    _files
elif [[ $before == -c ]]; then
    _command_names
fi
