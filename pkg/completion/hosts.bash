# For bash-completion's completions/castbucket-proxy and castbucket-shell: each program's own help
# says which options it has, and which of them are followed by a file.
_castbucket_host()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} text
    text=$("$1" --help 2>/dev/null | grep -E '^  ?-|^Usage:')
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$(grep -oE '(^| |\[)--?[a-z][a-z-]*' <<<"$text" | tr -d ' [')" \
            -- "$word"))
    elif [[ $before == -* ]] && grep -qE -e "^  $before FILE( |\$)" <<<"$text"; then
        COMPREPLY=($(compgen -f -- "$word"))
    elif [[ $before == -c ]]; then
        COMPREPLY=($(compgen -c -- "$word"))
    fi
}
complete -o filenames -F _castbucket_host castbucket-proxy castbucket-shell
