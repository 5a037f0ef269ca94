// Reading messages, with libedit where there is a terminal.
#include "cli/line.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"

struct cop_cli_line {
    EditLine *editor;  // NULL: not a terminal
    History *history;
    COP_ARRAY(char) text;
    bool more;         // inside a message of several lines
    bool interrupted;
};

static char *prompt(EditLine *editor) {
    cop_cli_line *l = NULL;
    static char first[] = "> ", next[] = ". ";
    el_get(editor, EL_CLIENTDATA, &l);
    return l->more ? next : first;
}

// Ctrl-C arrives as a key: the terminal sends no signal while a line is edited.
static unsigned char on_interrupt(EditLine *editor, int key) {
    cop_cli_line *l = NULL;
    (void)key;
    el_get(editor, EL_CLIENTDATA, &l);
    l->interrupted = true;
    return CC_NEWLINE;
}

static cop_status open_editor(cop_cli_line *l) {
    HistEvent event;
    setlocale(LC_CTYPE, "");  // what a character is; numbers stay as they are
    l->editor = el_init("coppice", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->editor || !l->history) return cop_fail(COP_ERR_NOMEM, "line editor: cannot allocate");
    history(l->history, &event, H_SETSIZE, 1000);
    history(l->history, &event, H_SETUNIQUE, 1);
    el_set(l->editor, EL_CLIENTDATA, l);
    el_set(l->editor, EL_PROMPT, prompt);
    el_set(l->editor, EL_EDITOR, "emacs");
    el_set(l->editor, EL_SIGNAL, 1);  // a signal that ends the program leaves the terminal as it was
    el_set(l->editor, EL_HIST, history, l->history);
    el_set(l->editor, EL_ADDFN, "interrupt", "drop the line", on_interrupt);
    el_set(l->editor, EL_BIND, "^C", "interrupt", NULL);
    el_set(l->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(l->editor, EL_SETTY, "-d", "-isig", NULL);
    el_source(l->editor, NULL);  // the user's ~/.editrc
    return COP_OK;
}

cop_status cop_cli_line_open(cop_cli_line **out) {
    cop_cli_line *l = cop_alloc(sizeof *l);
    *out = NULL;
    if (!l) return cop_fail(COP_ERR_NOMEM, "line editor: cannot allocate");
    l->text.most = COP_MOST_LINE;
    cop_status st = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? open_editor(l) : COP_OK;
    if (st) {
        cop_cli_line_close(l);
        return st;
    }
    *out = l;
    return COP_OK;
}

void cop_cli_line_close(cop_cli_line *l) {
    if (!l) return;
    if (l->history) history_end(l->history);
    if (l->editor) el_end(l->editor);
    cop_array_fini(&l->text);
    cop_free(l);
}

bool cop_cli_line_edits(const cop_cli_line *l) { return l->editor; }

static cop_status add_bytes(cop_cli_line *l, const char *v, size_t n) {
    COP_TRY(cop_array_reserve(&l->text, n + 1));
    if (n) memcpy(l->text.v + l->text.n, v, n);
    l->text.n += n;
    l->text.v[l->text.n] = 0;
    return COP_OK;
}

// Append one line without its end; *ended: there was none.
static cop_status read_line(cop_cli_line *l, bool *ended) {
    HistEvent event;
    int n = 0, c = 0;
    *ended = false;
    COP_TRY(add_bytes(l, "", 0));
    if (!l->editor) {
        size_t before = l->text.n;
        while ((c = getchar()) != EOF && c != '\n') {
            char byte = (char)c;
            COP_TRY(add_bytes(l, &byte, 1));
        }
        *ended = c == EOF && l->text.n == before;
        if (c == EOF && ferror(stdin)) return cop_fail(COP_ERR_IO, "standard input: %s", strerror(errno));
        return COP_OK;
    }
    el_set(l->editor, EL_PREP_TERM, 1);  // before the prompt: a Ctrl-C that comes with it is a key already
    const char *line = el_gets(l->editor, &n);
    *ended = !line || n <= 0;
    if (*ended || l->interrupted) return COP_OK;
    if (line[0] != '\n') history(l->history, &event, H_ENTER, line);
    if (line[n - 1] == '\n') n--;
    return add_bytes(l, line, (size_t)n);
}

static bool ends_with(const cop_cli_line *l, size_t from, const char *what) {
    size_t n = strlen(what);
    return l->text.n >= from + n && !memcmp(l->text.v + l->text.n - n, what, n);
}

// Further lines of a message that ends with a backslash, or that """ opened.
static cop_status read_rest(cop_cli_line *l) {
    bool quoted = l->text.n >= 3 && !memcmp(l->text.v, "\"\"\"", 3), ended = false;
    size_t from = quoted ? 3 : 0;
    while (!l->interrupted && !ended) {
        if (quoted ? ends_with(l, from, "\"\"\"") : !ends_with(l, from, "\\")) break;
        if (!quoted) l->text.n--;
        COP_TRY(add_bytes(l, "\n", 1));
        l->more = true;
        if (quoted) from = 3;
        COP_TRY(read_line(l, &ended));
    }
    l->more = false;
    if (!quoted) return COP_OK;
    size_t n = l->text.n - 3 - (ends_with(l, 3, "\"\"\"") ? 3 : 0);
    const char *v = l->text.v + 3;
    if (n && *v == '\n') v++, n--;
    if (n && v[n - 1] == '\n') n--;
    memmove(l->text.v, v, n);
    l->text.v[n] = 0;
    l->text.n = n;
    return COP_OK;
}

cop_status cop_cli_line_read(cop_cli_line *l, const char **text, bool *interrupted) {
    bool ended;
    *text = NULL;
    *interrupted = l->interrupted = false;
    l->text.n = 0;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    COP_TRY(read_line(l, &ended));
    if (ended) return COP_OK;
    if (!l->interrupted) COP_TRY(read_rest(l));
    *interrupted = l->interrupted;
    *text = l->interrupted ? "" : l->text.v;
    return COP_OK;
}
