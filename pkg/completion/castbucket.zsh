#compdef castbucket
# For zsh's site-functions, as _castbucket: the program knows its own options best.
source <(castbucket completion zsh)
_castbucket "$@"
