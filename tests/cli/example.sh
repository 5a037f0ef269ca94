# examples/hello.c builds against an installed copy, shared and static, and writes.
. tests/cli/support.bash
make -s install OUT="$1" PREFIX="$TMP/usr" >"$TMP/said" 2>&1 || { cat "$TMP/said"; exit 1; }
export PKG_CONFIG_PATH=$TMP/usr/lib/pkgconfig LD_LIBRARY_PATH=$TMP/usr/lib
flags="-std=c11 -Wall -Wextra -Werror -pedantic"
${CC:-gcc} $flags examples/hello.c $(pkg-config --cflags --libs coppice) -o "$TMP/shared" || exit 1
${CC:-gcc} $flags examples/hello.c $(pkg-config --cflags coppice) "$TMP/usr/lib/libcoppice.a" \
    $(pkg-config --static --libs coppice | sed 's/-lcoppice//') -o "$TMP/static" || exit 1
for program in shared static; do "$TMP/$program" "$M" "Once upon a time" | bytes; done
"$TMP/static" "$M" "Once upon a time" | head -c 1 >"$TMP/first"
"$TMP/shared" "$TMP/absent.gguf" 2>&1 | sed "s|$TMP|TMP|"
make -s uninstall OUT="$1" PREFIX="$TMP/usr"
find "$TMP/usr" -type f -o -type l
