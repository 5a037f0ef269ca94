#include "base/nearest.h"

#include <string.h>

enum { MOST = 63 };

static int lower(char c) { return c >= 'A' && c <= 'Z' ? c + 32 : (unsigned char)c; }
static int length(const char *word) { return (int)strnlen(word, MOST); }
static int least(int a, int b) { return a < b ? a : b; }

// Three rows of the table are alive: this one, the one before, and the one before that (for swaps).
int cop_word_distance(const char *a, const char *b) {
    int row[3][MOST + 1], n = length(a), m = length(b);
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int x = lower(a[i - 1]), y = lower(b[j - 1]);
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

int cop_word_is_near(const char *a, const char *b) {
    int longer = length(a) > length(b) ? length(a) : length(b);
    return cop_word_distance(a, b) * 3 <= longer;
}
