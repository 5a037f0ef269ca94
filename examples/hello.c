/* The smallest whole program: a model continues a text.
 *
 *   cc hello.c $(pkg-config --cflags --libs coppice) -o hello
 *   ./hello smollm2-135m "Once upon a time"
 */
#include <coppice.h>
#include <stdio.h>
#include <string.h>

static int print_piece(void *user, const char *text, size_t bytes) {
    (void)user;
    return fwrite(text, 1, bytes, stdout) != bytes || fflush(stdout); /* a closed output ends the text */
}

int main(int argc, char **argv) {
    const char *model = argc > 1 ? argv[1] : "smollm2-135m";
    const char *prompt = argc > 2 ? argv[2] : "Once upon a time";
    cop_engine *engine = NULL;
    cop_session *session = NULL;
    cop_status st = cop_engine_open(&engine, model, NULL);
    if (!st) st = cop_session_open(&session, engine, NULL);
    if (!st) st = cop_session_add_text(session, prompt, strlen(prompt), 0);
    if (!st) st = cop_session_generate(session, 32, print_piece, NULL, NULL);
    if (st) fprintf(stderr, "%s: %s\n", cop_status_name(st), cop_error_text());
    else puts("");
    cop_session_close(session);
    cop_engine_close(engine);
    return st != COP_OK;
}
