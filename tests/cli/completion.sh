# Completions and manual pages, made from the tables: they name every option and are what their readers accept.
. tests/cli/support.bash
show completion
show completion tcsh
show man nosuch
show man detokenize
for shell in bash zsh fish; do "$COPPICE" completion $shell >"$TMP/$shell"; done
bash -n "$TMP/bash"
[ ! -x /bin/zsh ] || zsh -n "$TMP/zsh"
[ ! -x /usr/bin/fish ] || fish --no-execute "$TMP/fish"
for command in $("$COPPICE" help | sed -n 's/^  coppice \([a-z]*\) .*/\1/p'); do
    "$COPPICE" man "$command" >"$TMP/$command.1"
    for option in $("$COPPICE" "$command" --help | grep -o -E '^ {2,6}(-., )?--[a-z-]+' | grep -o -E -e '--[a-z-]+'); do
        grep -q -e "^    $command:-\*).*$option " "$TMP/bash" || echo "bash: $command lacks $option"
        sed -n "/^    $command)/,/;;/p" "$TMP/zsh" | grep -q -e "$option[]}'[]" || echo "zsh: $command lacks $option"
        grep -q -e "from $command' -l ${option#--} " "$TMP/fish" || echo "fish: $command lacks $option"
        grep -q -F "$(sed 's/-/\\-/g' <<<"$option")" "$TMP/$command.1" || echo "man: $command lacks $option"
    done
done
"$COPPICE" man >"$TMP/coppice.1"
if command -v mandoc >/dev/null; then
    for page in "$TMP"/*.1; do mandoc -T lint -W warning "$page" | grep -v 'missing date'; done
elif command -v groff >/dev/null; then
    for page in "$TMP"/*.1; do groff -ww -man -Tascii "$page" 2>&1 >/dev/null; done
fi

# What bash would offer.
. "$TMP/bash"
offer() {
    COMP_WORDS=(coppice "$@") COMP_CWORD=$#
    _coppice
    echo "coppice $*| ${COMPREPLY[*]}"
}
offer ru
offer run --top
offer run --verify c
offer run --cpu ""
offer bench v
offer completion ""
offer man tok
offer run -m smol
offer info LIC
