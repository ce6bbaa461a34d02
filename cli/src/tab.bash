
# Bash takes words apart at some characters that keys and flags have in them, and asks for the last
# part. The program is asked for the whole word, and what is there already is cut off its answers.
_kvorum() {
    local line=${COMP_LINE:0:COMP_POINT} breaks='' start='' c answer
    for c in : @ =; do
        [[ $COMP_WORDBREAKS == *"$c"* ]] && breaks+=$c
    done
    local word=${line##*[[:blank:]]}
    if [[ -n $breaks && $word == *[$breaks]* && $line != *[\"\'\\]* ]]; then
        start=${word%"${word##*[$breaks]}"}
        IFS=$' \t' read -ra COMP_WORDS <<< "$line"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _clap_complete_kvorum "$1" "$word"
    else
        _clap_complete_kvorum "$@"
    fi
    local answers=("${COMPREPLY[@]}")
    COMPREPLY=()
    for answer in "${answers[@]}"; do
        # Who wants a flag begins one.
        [[ $word != -* && $answer == -* ]] || COMPREPLY+=("${answer#"$start"}")
    done
}
