#include "format/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// FIPS 180-4 example values.
static void known_hashes_come_out(void **state) {
    (void)state;
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    cop_sha256 hash = {0};
    char hex[COP_SHA256_HEX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cop_sha256_init(&hash), COP_OK);  // the object is used again
        for (const char *c = cases[i].text; *c; c++) {
            assert_int_equal(cop_sha256_update(&hash, c, 1), COP_OK);
            assert_int_equal(cop_sha256_hex(&hash, hex), COP_OK);  // looking does not end the hash
        }
        assert_int_equal(cop_sha256_hex(&hash, hex), COP_OK);
        assert_string_equal(hex, cases[i].hex);
    }
    cop_sha256_fini(&hash);
    cop_sha256_fini(&hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_hashes_come_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
