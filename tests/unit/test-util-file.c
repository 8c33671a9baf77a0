/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole reads and writes, zero buffers, host code listings. */
#include "util/file.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "util/disas.h"
#include "util/error.h"

static int temp_file(char **path)
{
    int fd = g_file_open_tmp("file-XXXXXX", path, NULL);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void test_round_trip(void)
{
    char *path, *text, buf[11] = "";
    struct iovec iov[] = {{"ab", 2}, {"", 0}, {"cde", 3}, {"", 0}};
    int fd = temp_file(&path);
    GError *error = NULL;
    size_t size;

    g_assert_true(writev_all(fd, iov, 4, &error));
    g_assert_true(write_all(fd, "fghij", 5, &error));
    g_assert_true(pwrite_all(fd, "X", 1, 3, &error));
    g_assert_true(pread_all(fd, buf, 10, 0, &error));
    g_assert_cmpstr(buf, ==, "abcXefghij");
    text = read_whole(path, &size, 10, &error);
    g_assert_cmpstr(text, ==, "abcXefghij");
    g_assert_cmpuint(size, ==, 10);
    g_free(text);
    g_remove(path);
    g_free(path);
    close(fd);
}

static void test_failures(void)
{
    char *path, buf[8];
    int fd = temp_file(&path);
    GError *error = NULL;
    size_t size;

    g_assert_true(write_all(fd, "12345", 5, NULL));
    g_assert_false(pread_all(fd, buf, 8, 0, &error));
    g_assert_cmpstr(error->message, ==, "the file ends at offset 5, 3 bytes early");
    g_clear_error(&error);
    g_assert_null(read_whole(path, &size, 4, &error));
    g_clear_error(&error);
    g_assert_null(read_whole("/", &size, 4, &error));
    g_assert_cmpstr(error->message, ==, "'/' is not a regular file");
    g_clear_error(&error);
    g_assert_null(read_whole("/nonexistent", &size, 4, &error));
    g_assert_nonnull(strstr(error->message, "'/nonexistent'"));
    g_clear_error(&error);
    g_remove(path);
    g_free(path);
    close(fd);
}

/* One set byte anywhere is found, at every size and alignment. */
static void test_is_zero(void)
{
    uint8_t *buffer = g_malloc0(1024);

    for (unsigned start = 0; start < 9; start++) {
        for (unsigned size = 0; size < 600; size += size < 300 ? 1 : 37) {
            g_assert_true(is_zero(buffer + start, size));
            for (unsigned i = 0; i < size; i += 1 + size / 40) {
                buffer[start + i] = 0x80;
                g_assert_false(is_zero(buffer + start, size));
                buffer[start + i] = 0;
            }
            buffer[start + size] = 1;
            g_assert_true(is_zero(buffer + start, size));
            buffer[start + size] = 0;
        }
    }
    g_free(buffer);
}

static void test_disas(void)
{
    static const uint8_t code[] = {0x90, 0xc3, 0x06, 0x90};
    GString *out = g_string_new(NULL);

    host_disassemble(out, code, sizeof(code), 0x1000);
    g_assert_nonnull(strstr(out->str, "0x0000000000001000:"));
#if defined(__x86_64__)
    if (host_disassembler_present()) {
        g_assert_nonnull(strstr(out->str, "0x0000000000001001:  ret"));
        g_assert_nonnull(strstr(out->str, "0x0000000000001002:  .byte 0x06\n"));
        g_assert_nonnull(strstr(out->str, "0x0000000000001003:  nop"));
    }
#endif
    g_string_truncate(out, 0);
    host_disassemble(out, code, 0, 0);
    g_assert_cmpstr(out->str, ==, "");
    g_string_free(out, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file/io/round-trips", test_round_trip);
    g_test_add_func("/file/io/says-what-failed", test_failures);
    g_test_add_func("/file/is-zero/finds-one-byte-anywhere", test_is_zero);
    g_test_add_func("/disas/host/lists-code-and-bytes", test_disas);
    return g_test_run();
}
