// "Did you mean": how far apart two short words are, for messages about unknown names.
#ifndef COP_BASE_NEAREST_H
#define COP_BASE_NEAREST_H

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b (the restricted
 * Damerau-Levenshtein distance), bytes compared without regard to ASCII case. Only the first 63 bytes
 * of each word count. */
int cop_word_distance(const char *a, const char *b);

/* Is b near enough to a to be offered as a correction: at most one edit in three letters. */
int cop_word_is_near(const char *a, const char *b);

#endif
