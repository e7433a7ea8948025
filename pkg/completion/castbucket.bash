# For /usr/share/bash-completion/completions/castbucket: the program knows its own options best.
source <(castbucket completion bash)
