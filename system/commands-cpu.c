/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about vCPUs: listing them, their registers and page tables, memory as they see it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "api/command.h"
#include "api/fds.h"
#include "system/cpu.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/file.h"

static int default_cpu; /* that "cpu N" chose */

/* The vCPU asked for, or the one "cpu" chose. */
static CPUState *cpu_or_default(bool given, int64_t index, GError **error)
{
    int64_t wanted = given ? index : default_cpu;
    CPUState *cpu = wanted >= 0 && wanted < cpu_count() ? cpu_get(wanted) : NULL;

    return cpu ? cpu : fail_null(error, "there is no CPU %" PRId64, wanted);
}

/* --- listing --- */

typedef struct CpuProps {
    int64_t core_id;
} CpuProps;

typedef struct CpuInfo {
    int64_t index, thread_id;
    char *path;
    char *target;
    CpuProps props;
} CpuInfo;

static const Field cpu_props[] = {F_I64(CpuProps, core_id, "core-id", .optional = true), FIELD_END};

static const Field cpu_info[] = {
    F_I64(CpuInfo, index, "cpu-index"),
    F_STRING(CpuInfo, path, "qom-path"),
    F_I64(CpuInfo, thread_id, "thread-id", .help = "of the host"),
    F_OBJECT(CpuInfo, props, "props", cpu_props, "CpuInstanceProperties"),
    F_STRING(CpuInfo, target, "target"),
    FIELD_END,
};

static bool run_query_cpus(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray **list = reply;
    CPUState *cpu;
    int i;

    *list = g_ptr_array_new();
    CPU_FOREACH (cpu, i) {
        CpuInfo *info = g_new0(CpuInfo, 1);

        info->index = i;
        info->thread_id = cpu->thread_id;
        info->path = g_strdup_printf("/machine/soc0/harts[%d]", i);
        info->target = g_strdup("riscv64");
        info->props.core_id = i;
        g_ptr_array_add(*list, info);
    }
    return true;
}

static void print_cpus(CommandContext *ctx, const void *args, const void *reply)
{
    GPtrArray *list = *(GPtrArray *const *)reply;

    for (unsigned i = 0; i < list->len; i++) {
        const CpuInfo *info = g_ptr_array_index(list, i);

        g_string_append_printf(ctx->output, "%c CPU #%" PRId64 ": thread_id=%" PRId64 "\n",
                               info->index == default_cpu ? '*' : ' ', info->index, info->thread_id);
    }
}

COMMAND(query_cpus_fast, .qmp = "query-cpus-fast", .hmp = "info cpus", .help = "list the vCPUs",
        .reply = cpu_info, .reply_size = sizeof(CpuInfo), .reply_name = "CpuInfoFast", .reply_list = true,
        .run = run_query_cpus, .print_hmp = print_cpus);

typedef struct CpuDefinition {
    char *name, *type_name;
    bool is_static, migration_safe, deprecated;
} CpuDefinition;

static const Field cpu_definition[] = {
    F_STRING(CpuDefinition, name, "name"),
    F_BOOL(CpuDefinition, is_static, "static"),
    F_STRING(CpuDefinition, type_name, "typename"),
    F_BOOL(CpuDefinition, deprecated, "deprecated"),
    FIELD_END,
};

static void add_definition(const CpuModel *model, void *opaque)
{
    CpuDefinition *definition = g_new0(CpuDefinition, 1);

    definition->name = g_strdup(model->name);
    definition->type_name = g_strdup_printf("%s-riscv-cpu", model->name);
    g_ptr_array_add(opaque, definition);
}

static bool run_query_definitions(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray **list = reply;

    *list = g_ptr_array_new();
    cpu_models_foreach(add_definition, *list);
    return true;
}

COMMAND(query_cpu_definitions, .qmp = "query-cpu-definitions", .help = "list the CPU models",
        .reply = cpu_definition, .reply_size = sizeof(CpuDefinition), .reply_name = "CpuDefinitionInfo",
        .reply_list = true, .run = run_query_definitions);

typedef struct CpuArgs {
    int64_t index;
    bool has_index;
    bool all;
} CpuArgs;

static const Field choose_args[] = {
    F_I64(CpuArgs, index, "index", .positional = true, .help = "of the vCPU"),
    FIELD_END,
};

static bool run_choose_cpu(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const CpuArgs *a = args;

    if (!cpu_or_default(true, a->index, error)) {
        return false;
    }
    default_cpu = a->index;
    return true;
}

COMMAND(choose_cpu, .hmp = "cpu", .help = "choose the vCPU that the other commands look at",
        .args = choose_args, .args_size = sizeof(CpuArgs), .run = run_choose_cpu);

/* --- registers and page tables --- */

typedef struct DumpWork {
    void (*dump)(CPUState *cpu, GString *out);
    GString *out;
} DumpWork;

static void dump_on_cpu(CPUState *cpu, void *opaque)
{
    DumpWork *work = opaque;

    work->dump(cpu, work->out);
}

/* Only its own thread knows the registers of a vCPU that runs. */
static bool dump_cpu(CPUState *cpu, void (*dump)(CPUState *, GString *), GString *out, GError **error)
{
    DumpWork work = {dump, out};

    if (!dump) {
        return fail(error, "this CPU model cannot show that");
    }
    run_on_cpu(cpu, dump_on_cpu, &work);
    return true;
}

static const Field registers_args[] = {
    F_BOOL(CpuArgs, all, "all", .optional = true, .help = "of every vCPU"),
    F_I64(CpuArgs, index, "vcpu", .optional = true, .positional = true, F_HAS(CpuArgs, has_index),
          .help = "index of the vCPU"),
    FIELD_END,
};

static bool dump_all_registers(GString *out, GError **error)
{
    CPUState *cpu;
    int i;

    CPU_FOREACH (cpu, i) {
        g_string_append_printf(out, "\nCPU#%d\n", i);
        if (!dump_cpu(cpu, cpu->ops->dump, out, error)) {
            return false;
        }
    }
    return true;
}

static bool run_info_registers(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const CpuArgs *a = args;
    CPUState *cpu;

    if (a->all) {
        return dump_all_registers(ctx->output, error);
    }
    cpu = cpu_or_default(a->has_index, a->index, error);
    if (!cpu) {
        return false;
    }
    g_string_append_printf(ctx->output, "\nCPU#%d\n", cpu->index);
    return dump_cpu(cpu, cpu->ops->dump, ctx->output, error);
}

COMMAND(info_registers, .hmp = "info registers", .help = "show the registers of a vCPU (-a: of all)",
        .args = registers_args, .args_size = sizeof(CpuArgs), .run = run_info_registers);

static bool run_info_mem(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    CPUState *cpu = cpu_or_default(false, 0, error);

    return cpu && dump_cpu(cpu, cpu->ops->print_tlb, ctx->output, error);
}

COMMAND(info_mem, .hmp = "info mem", .help = "show the virtual memory mappings in use", .run = run_info_mem);

/* --- memory: reads that work in both address spaces --- */

/* NULL: physical. */
static bool read_memory(CPUState *cpu, uint64_t addr, void *buf, uint64_t len, GError **error)
{
    MemTxResult result = cpu ? cpu_memory_rw_debug(cpu, addr, buf, len, false)
                             : address_space_read(&address_space_memory, addr, buf, len);

    return result == MEMTX_OK ? true : fail(error, "cannot access memory at 0x%" PRIx64, addr);
}

/* "10xw": how many, how printed, how large. */
typedef struct DumpFormat {
    unsigned count;
    char style;
    unsigned size;
} DumpFormat;

#define MAX_DUMP_COUNT (1u << 20)

static bool parse_dump_format(const char *text, DumpFormat *format, GError **error)
{
    static DumpFormat last = {1, 'x', 4};
    const char *p = text ? text : "";
    uint64_t count = 0;
    bool any = false;

    *format = (DumpFormat){1, last.style, last.size};
    if (g_ascii_isdigit(*p)) {
        count = g_ascii_strtoull(p, (char **)&p, 10);
        if (!count || count > MAX_DUMP_COUNT) {
            return fail(error, "count in '%s' must be from 1 to %u", text, MAX_DUMP_COUNT);
        }
        format->count = count;
    }
    for (; *p; p++) {
        static const char sizes[] = "bhwg";
        const char *size = strchr(sizes, *p);

        if (size) {
            format->size = 1u << (size - sizes);
        } else if (strchr("xduocis", *p)) {
            format->style = *p;
            any = true;
        } else {
            return fail(error, "'%c' is no format: take one of x d u o c i s and one of b h w g", *p);
        }
    }
    if (format->style == 'c' && any && !strpbrk(text, "bhwg")) {
        format->size = 1;
    }
    last = *format;
    return true;
}

static uint64_t load_item(const uint8_t *bytes, unsigned size)
{
    uint8_t all[8] = {0};

    memcpy(all, bytes, size);
    return ldq_le_p(all);
}

static void print_character(GString *out, uint8_t c)
{
    static const char escapes[][3] = {{'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}, {'\\', '\\'}, {'\'', '\''}};

    for (unsigned i = 0; i < G_N_ELEMENTS(escapes); i++) {
        if (c == (uint8_t)escapes[i][0]) {
            g_string_append_printf(out, "'\\%c'", escapes[i][1]);
            return;
        }
    }
    g_string_append_printf(out, g_ascii_isprint(c) ? "'%c'" : "'\\x%02x'", c);
}

static void print_item(GString *out, const DumpFormat *format, uint64_t value)
{
    static const unsigned decimal_digits[] = {0, 3, 5, 0, 10, 0, 0, 0, 20};
    unsigned bits = format->size * 8;
    int64_t as_signed = (int64_t)(value << (64 - bits)) >> (64 - bits);

    switch (format->style) {
    case 'd':
        g_string_append_printf(out, "%*" PRId64, decimal_digits[format->size], as_signed);
        break;
    case 'u':
        g_string_append_printf(out, "%*" PRIu64, decimal_digits[format->size], value);
        break;
    case 'o':
        g_string_append_printf(out, "%#*" PRIo64, (bits + 2) / 3, value);
        break;
    case 'c':
        print_character(out, value);
        break;
    default:
        g_string_append_printf(out, "0x%0*" PRIx64, format->size * 2, value);
        break;
    }
}

static bool dump_items(GString *out, CPUState *cpu, const DumpFormat *format, uint64_t addr, GError **error)
{
    unsigned per_line = format->style == 'o' && format->size == 8
                            ? 1
                            : MAX(16 / format->size / (format->size == 1 ? 2 : 1), 1);

    for (unsigned done = 0; done < format->count;) {
        unsigned n = MIN(per_line, format->count - done);
        uint8_t line[16];

        if (!read_memory(cpu, addr, line, n * format->size, error)) {
            return false;
        }
        g_string_append_printf(out, "%016" PRIx64 ":", addr);
        for (unsigned i = 0; i < n; i++) {
            g_string_append_c(out, ' ');
            print_item(out, format, load_item(line + i * format->size, format->size));
        }
        g_string_append_c(out, '\n');
        addr += n * format->size;
        done += n;
    }
    return true;
}

#define MAX_STRING 4096

static bool dump_strings(GString *out, CPUState *cpu, unsigned count, uint64_t addr, GError **error)
{
    for (unsigned done = 0; done < count; done++) {
        unsigned length = 0;
        uint8_t c;

        g_string_append_printf(out, "%016" PRIx64 ": \"", addr);
        do {
            if (!read_memory(cpu, addr++, &c, 1, error)) {
                return false;
            }
            if (c) {
                g_string_append_printf(out, g_ascii_isprint(c) && c != '"' && c != '\\' ? "%c" : "\\x%02x",
                                       c);
            }
        } while (c && ++length < MAX_STRING);
        g_string_append(out, "\"\n");
    }
    return true;
}

static unsigned instruction_size(const uint8_t *code)
{
    return (code[0] & 3) == 3 ? 4 : 2;
}

static bool dump_instructions(GString *out, CPUState *decoder, CPUState *cpu, unsigned count, uint64_t addr,
                              GError **error)
{
    if (!decoder || !decoder->ops->disassemble) {
        return fail(error, "there is no CPU that could disassemble");
    }
    for (unsigned done = 0; done < count; done++) {
        uint8_t code[4];
        unsigned size;

        if (!read_memory(cpu, addr, code, 2, error)) {
            return false;
        }
        size = instruction_size(code);
        if (size == 4 && !read_memory(cpu, addr + 2, code + 2, 2, error)) {
            return false;
        }
        decoder->ops->disassemble(decoder, addr, code, size, out);
        if (!out->len || out->str[out->len - 1] != '\n') {
            g_string_append_c(out, '\n');
        }
        addr += size;
    }
    return true;
}

typedef struct ExamineArgs {
    char *fmt;
    uint64_t addr;
} ExamineArgs;

static const Field examine_args[] = {
    F_STRING(ExamineArgs, fmt, "fmt", .optional = true, .positional = true,
             .help = "/count, format (x d u o c i s), size (b h w g)"),
    F_U64(ExamineArgs, addr, "addr", .positional = true),
    FIELD_END,
};

/* @physical: addresses are guest physical. */
static bool examine(CommandContext *ctx, const ExamineArgs *args, bool physical, GError **error)
{
    CPUState *decoder = cpu_or_default(false, 0, NULL);
    CPUState *cpu = physical ? NULL : decoder;
    DumpFormat format;

    if (!parse_dump_format(args->fmt && *args->fmt == '/' ? args->fmt + 1 : args->fmt, &format, error)) {
        return false;
    }
    if (!physical && !cpu) {
        return fail(error, "there is no CPU");
    }
    switch (format.style) {
    case 'i':
        return dump_instructions(ctx->output, decoder, cpu, format.count, args->addr, error);
    case 's':
        return dump_strings(ctx->output, cpu, format.count, args->addr, error);
    default:
        return dump_items(ctx->output, cpu, &format, args->addr, error);
    }
}

static bool run_x(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return examine(ctx, args, false, error);
}

static bool run_xp(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return examine(ctx, args, true, error);
}

COMMAND(examine_virtual, .hmp = "x", .help = "show memory at a virtual address", .args = examine_args,
        .args_size = sizeof(ExamineArgs), .run = run_x);
COMMAND(examine_physical, .hmp = "xp", .help = "show memory at a physical address", .args = examine_args,
        .args_size = sizeof(ExamineArgs), .run = run_xp);

/* --- memory into a file --- */

typedef struct SaveArgs {
    uint64_t addr, size;
    char *filename;
    int64_t cpu;
    bool has_cpu;
} SaveArgs;

static const Field pmemsave_args[] = {
    F_U64(SaveArgs, addr, "val", .positional = true, .help = "physical address"),
    F_U64(SaveArgs, size, "size", .positional = true, .help = "in bytes"),
    F_STRING(SaveArgs, filename, "filename", .positional = true),
    FIELD_END,
};

static const Field memsave_args[] = {
    F_U64(SaveArgs, addr, "val", .positional = true, .help = "virtual address"),
    F_U64(SaveArgs, size, "size", .positional = true, .help = "in bytes"),
    F_STRING(SaveArgs, filename, "filename", .positional = true),
    F_I64(SaveArgs, cpu, "cpu-index", .optional = true, F_HAS(SaveArgs, has_cpu)),
    FIELD_END,
};

static bool save_pieces(CPUState *cpu, const SaveArgs *args, int fd, GError **error)
{
    uint64_t addr = args->addr, left = args->size;
    uint8_t buf[TARGET_PAGE_SIZE];

    while (left) {
        uint64_t n = MIN(left, sizeof(buf));

        if (!read_memory(cpu, addr, buf, n, error)) {
            return false;
        }
        if (!write_all(fd, buf, n, error)) {
            error_context(error, "'%s'", args->filename);
            return false;
        }
        addr += n;
        left -= n;
    }
    return true;
}

/* Before the file loses what it holds: whether there is memory at both ends. */
static bool check_ends(CPUState *cpu, const SaveArgs *args, GError **error)
{
    uint8_t byte;

    if (!args->size) {
        return true;
    }
    if (args->size - 1 > UINT64_MAX - args->addr) {
        return fail(error, "%" PRIu64 " bytes at 0x%" PRIx64 " end behind all addresses", args->size, args->addr);
    }
    return read_memory(cpu, args->addr, &byte, 1, error) &&
           read_memory(cpu, args->addr + args->size - 1, &byte, 1, error);
}

static bool save_memory(CPUState *cpu, const SaveArgs *args, GError **error)
{
    bool ok;
    int fd;

    if (!check_ends(cpu, args, error)) {
        return false;
    }
    fd = fdset_open_path(args->filename, O_WRONLY | O_CREAT | O_TRUNC, 0666, error);
    if (fd < 0) {
        return false;
    }
    ok = save_pieces(cpu, args, fd, error);
    if (close(fd) && ok) {
        return fail_errno(error, errno, "cannot write '%s'", args->filename);
    }
    return ok;
}

static bool run_pmemsave(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return save_memory(NULL, args, error);
}

static bool run_memsave(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const SaveArgs *a = args;
    CPUState *cpu = cpu_or_default(a->has_cpu, a->cpu, error);

    return cpu && save_memory(cpu, a, error);
}

COMMAND(pmemsave, .qmp = "pmemsave", .hmp = "pmemsave", .help = "write physical memory to a file",
        .args = pmemsave_args, .args_size = sizeof(SaveArgs), .run = run_pmemsave);
COMMAND(memsave, .qmp = "memsave", .hmp = "memsave", .help = "write virtual memory to a file",
        .args = memsave_args, .args_size = sizeof(SaveArgs), .run = run_memsave);
