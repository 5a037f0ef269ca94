. tests/cli/support.bash
show info "$M"
show info "$M" --tensors | tail -3
show info tests/data/tiny-gemma3-a.gguf --json
show info "$M" --json --keys | grep -c '"'
show info LICENSE
show info "$TMP/absent.gguf"
show info
