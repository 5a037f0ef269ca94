# Who may include whom.   awk -f tools/floors.awk docs/floors.txt FILE...
# Each line of docs/floors.txt is a floor, lowest first. A folder of src/ includes itself and folders of
# lower floors: no sibling, no floor above, and nobody's *_private.h but its own. A line
# "sees FOLDER A B ..." allows that folder only A, B, ... of what lies below it.

function complain(why) {
    printf "%s:%d: %s may not include \"%s\": %s\n", FILENAME, FNR, folder, target, why
    n_bad++
}

FILENAME == ARGV[1] {
    if ($1 == "sees") {
        for (i = 3; i <= NF; i++) offered[$2 SUBSEP $i] = 1
        limited[$2] = 1
    } else {
        for (i = 1; i <= NF; i++) level[$i] = FNR
    }
    next
}

FNR == 1 {
    n = split(FILENAME, piece, "/")
    folder = piece[2]
    if (!(folder in level)) {
        printf "%s:1: folder %s has no floor in docs/floors.txt\n", FILENAME, folder
        n_bad++
    }
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    target = $0
    sub(/^[^"]*"/, "", target)
    sub(/".*/, "", target)
    if (target == "coppice.h") next
    other = target
    sub(/\/.*/, "", other)
    if (other == folder) next
    if (!(other in level)) complain("write the path from src/")
    else if (target ~ /_private\.h$/) complain("it is private to " other)
    else if (level[other] >= level[folder]) complain(other " is not on a lower floor")
    else if (limited[folder] && !((folder SUBSEP other) in offered)) complain(folder " is not offered " other)
}

END { exit n_bad > 0 }
