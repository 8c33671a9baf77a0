/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of virtio devices: sizes and names are the peer's, it moves, and hostile streams do no harm. */
#include "virtio-driver.h"

#include "system/state.h"

typedef struct TestIO {
    StateIO io;
    GByteArray *bytes;
    size_t at;
} TestIO;

static bool io_field(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride)
{
    static const size_t sizes[] = {
        [STATE_TYPE_BOOL] = 1,   [STATE_TYPE_U8] = 1,     [STATE_TYPE_U16] = 2,  [STATE_TYPE_U32] = 4,
        [STATE_TYPE_U64] = 8,    [STATE_TYPE_I8] = 1,     [STATE_TYPE_I32] = 4,  [STATE_TYPE_I64] = 8,
        [STATE_TYPE_BUFFER] = 1, [STATE_TYPE_UNUSED] = 1, [STATE_TYPE_TIMER] = 8};
    TestIO *t = (TestIO *)io;
    size_t size = sizes[type];

    for (size_t i = 0; i < n; i++) {
        uint8_t *p = data ? (uint8_t *)data + i * stride : NULL, raw[8] = {0};

        for (size_t b = 0; b < size && io->direction == STATE_SAVING; b++) {
            raw[b] = p ? p[size - 1 - b] : 0;
        }
        if (io->direction == STATE_SAVING) {
            g_byte_array_append(t->bytes, raw, size);
            continue;
        }
        if (t->bytes->len - t->at < size) {
            return false;
        }
        for (size_t b = 0; p && b < size; b++) {
            p[b] = t->bytes->data[t->at + size - 1 - b];
        }
        if (p && type == STATE_TYPE_BOOL) {
            *p = *p != 0;
        }
        t->at += size;
    }
    return true;
}

static bool io_subsection(StateIO *io, const char *name, int version, bool needed)
{
    TestIO *t = (TestIO *)io;
    size_t n = strlen(name);
    uint8_t head[2] = {5, n}, number[4] = {0, 0, 0, version};

    if (io->direction == STATE_SAVING) {
        if (needed) {
            g_byte_array_append(t->bytes, head, 2);
            g_byte_array_append(t->bytes, (const uint8_t *)name, n);
            g_byte_array_append(t->bytes, number, 4);
        }
        return needed;
    }
    if (t->bytes->len - t->at < n + 6 || memcmp(t->bytes->data + t->at, head, 2) != 0 ||
        memcmp(t->bytes->data + t->at + 2, name, n) != 0) {
        return false;
    }
    t->at += n + 6;
    return true;
}

static void io_nothing(StateIO *io)
{
}

static const StateIOOps io_ops = {
    .field = io_field, .subsection = io_subsection, .subsection_end = io_nothing};

static GByteArray *save(Slot *s)
{
    TestIO t = {.io = {.ops = &io_ops, .direction = STATE_SAVING, .version = s->child->type->state->version},
                .bytes = g_byte_array_new()};

    s->child->type->state->fields(&t.io, s->child);
    g_assert_no_error(t.io.error);
    return t.bytes;
}

static bool load(Slot *s, GByteArray *bytes)
{
    TestIO t = {.io = {.ops = &io_ops, .direction = STATE_LOADING, .version = s->child->type->state->version},
                .bytes = bytes};
    bool ok;

    s->child->type->state->fields(&t.io, s->child);
    ok = !t.io.error && t.at == bytes->len;
    g_clear_error(&t.io.error);
    return ok;
}

typedef struct SizeCase {
    const char *device;
    size_t legacy, modern;
} SizeCase;

/* Sizes measured at the peer with idle devices. */
static const SizeCase size_cases[] = {{"blk", 139, 44249},
                                      {"virtio-net-device", 670, 44780},
                                      {"virtio-rng-device", 81, 44191},
                                      {"virtio-serial-device", 0, 45363 - 10}};

static void test_state_size(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(size_cases); i++) {
        for (int legacy = 0; legacy < 2; legacy++) {
            const SizeCase *c = &size_cases[i];
            size_t expected = legacy ? c->legacy : c->modern;
            Slot *s = g_str_equal(c->device, "blk") ? disk_with(legacy, "") : slot_with(legacy, c->device);
            GByteArray *bytes = save(s);

            if (expected) {
                g_assert_cmpuint(bytes->len, ==, expected);
            }
            g_assert_true(load(s, bytes));
            g_byte_array_unref(bytes);
            device_delete(s->child);
        }
    }
}

static void test_state_name(void)
{
    Slot *s = slot_with(LEGACY, "virtio-rng-device");
    g_autofree char *expected = g_strdup_printf("virtio-mmio@%016" PRIx64 "/virtio-rng", s->base);

    g_assert_cmpstr(s->child->state_id, ==, expected);
    g_assert_nonnull(state_find(expected, 0));
    device_delete(s->child);
}

static void check_move(bool legacy)
{
    Slot *from = disk_with(legacy, ""), *to = disk_with(legacy, "");
    GByteArray *bytes;
    Ring r;

    driver_begin(from, 0);
    r = ring_setup(from, 0, RINGS);
    driver_ready(from);
    g_assert_cmpint(do_request(&r, 0, 1, 512, true), ==, 0);
    vm_stop(RUN_STATE_PAUSED);
    bytes = save(from);
    device_delete(from->child);
    g_assert_true(load(to, bytes));
    g_byte_array_unref(bytes);
    vm_start();
    r.slot = to;
    g_assert_cmpint(do_request(&r, 0, 2, 512, true), ==, 0);
    g_assert_cmpint(*host(DATA + 4096), ==, 2);
    device_delete(to->child);
}

static void test_state_moves_legacy(void)
{
    check_move(LEGACY);
}

static void test_state_moves_modern(void)
{
    check_move(MODERN);
}

/* A stream with wrong bytes is refused or makes a device that can still be reset. */
static void test_state_hostile(void)
{
    GRand *rand = g_rand_new_with_seed(7);

    for (int legacy = 0; legacy < 2; legacy++) {
        Slot *slots[] = {disk_with(legacy, ""), slot_with(legacy, "virtio-net-device"),
                         slot_with(legacy, "virtio-serial-device"), slot_with(legacy, "virtio-rng-device")};

        for (unsigned i = 0; i < G_N_ELEMENTS(slots); i++) {
            GByteArray *good;

            driver_begin(slots[i], 0);
            ring_setup(slots[i], 0, RINGS);
            driver_ready(slots[i]);
            vm_stop(RUN_STATE_PAUSED);
            good = save(slots[i]);
            for (unsigned round = 0; round < 150; round++) {
                GByteArray *bad = g_byte_array_new();

                g_byte_array_append(bad, good->data,
                                    round % 5 == 0 ? (guint)g_rand_int_range(rand, 0, good->len) : good->len);
                for (unsigned k = 0; k < 3 && bad->len > 0; k++) {
                    bad->data[g_rand_int_range(rand, 0, MIN(bad->len, 700))] = g_rand_int(rand);
                }
                load(slots[i], bad);
                vm_start();
                set_reg(slots[i], 0x50, 0);
                settle();
                vm_stop(RUN_STATE_PAUSED);
                g_byte_array_unref(bad);
            }
            g_assert_true(load(slots[i], good));
            g_byte_array_unref(good);
            device_delete(slots[i]->child);
            vm_start();
        }
    }
    g_rand_free(rand);
}

void add_state_tests(void)
{
    g_test_add_func("/virtio/state/sizes-are-those-of-the-peer", test_state_size);
    g_test_add_func("/virtio/state/section-is-named-by-the-slot", test_state_name);
    g_test_add_func("/virtio/state/legacy-disk-moves", test_state_moves_legacy);
    g_test_add_func("/virtio/state/modern-disk-moves", test_state_moves_modern);
    g_test_add_func("/virtio/state/hostile-streams-do-no-harm", test_state_hostile);
}
