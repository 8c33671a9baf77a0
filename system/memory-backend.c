/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM that users create by name: memory-backend-ram, -memfd and -file.  The RAM block has the object's id. */
#include "system/memory-backend.h"

#include <string.h>

#include "system/device.h"
#include "system/physmem.h"
#include "util/error.h"

struct MemoryBackend {
    /* properties */
    uint64_t size;
    bool share, prealloc, reserve;
    char *mem_path;
    uint64_t offset;
    /* the back end's own */
    char *id;
    MemoryRegion region;
    bool claimed; /* big lock */
};

#define COMMON_ROWS(share_default)                                                                           \
    F_SIZE(MemoryBackend, size, "size", .help = "of the memory"),                                            \
        F_BOOL(MemoryBackend, share, "share", .optional = true, .default_value = share_default,              \
               .help = "other processes see the stores"),                                                    \
        F_BOOL(MemoryBackend, prealloc, "prealloc", .optional = true, .help = "touch all of it at once"),    \
        F_BOOL(MemoryBackend, reserve, "reserve", .optional = true, .default_value = "on",                   \
               .help = "count it against the host's memory and swap")

static const Field ram_properties[] = {COMMON_ROWS("off"), FIELD_END};
static const Field memfd_properties[] = {COMMON_ROWS("on"), FIELD_END};
static const Field file_properties[] = {
    COMMON_ROWS("off"),
    F_STRING(MemoryBackend, mem_path, "mem-path", .help = "file, or directory to make one in"),
    F_SIZE(MemoryBackend, offset, "offset", .optional = true, .help = "where in the file the memory starts"),
    FIELD_END,
};

static unsigned block_flags(const MemoryBackend *backend)
{
    return (backend->share ? RAM_SHARED : 0) | (backend->prealloc ? RAM_PREALLOC : 0) |
           (backend->reserve ? 0 : RAM_NORESERVE);
}

static bool finish(MemoryBackend *backend, const char *id, RAMBlock *block)
{
    if (!block) {
        return false;
    }
    backend->id = g_strdup(id);
    memory_region_init_ram_block(&backend->region, NULL, id, block);
    return true;
}

static bool check_size(const MemoryBackend *backend, GError **error)
{
    return backend->size ? true : fail(error, "property 'size' is missing or 0");
}

static bool complete_ram(void *object, const char *id, GError **error)
{
    MemoryBackend *backend = object;

    if (!check_size(backend, error)) {
        return false;
    }
    if (backend->share) { /* anonymous memory cannot be handed on: a memfd can */
        return finish(backend, id, ram_block_new_memfd(id, backend->size, block_flags(backend), error));
    }
    return finish(backend, id,
                  ram_block_new_anonymous(id, backend->size, backend->size, block_flags(backend), error));
}

static bool complete_memfd(void *object, const char *id, GError **error)
{
    MemoryBackend *backend = object;

    return check_size(backend, error) &&
           finish(backend, id, ram_block_new_memfd(id, backend->size, block_flags(backend), error));
}

static bool complete_file(void *object, const char *id, GError **error)
{
    MemoryBackend *backend = object;

    if (!check_size(backend, error)) {
        return false;
    }
    if (!backend->mem_path || !*backend->mem_path) {
        return fail(error, "property 'mem-path' is missing");
    }
    return finish(backend, id,
                  ram_block_new_file_at(id, backend->size, backend->mem_path, backend->offset,
                                        block_flags(backend), error));
}

static bool can_delete(void *object, GError **error)
{
    MemoryBackend *backend = object;

    return backend->claimed ? fail(error, "the memory is in use") : true;
}

static void destroy(void *object)
{
    MemoryBackend *backend = object;

    memory_region_destroy(&backend->region);
    g_free(backend->id);
}

OBJECT_TYPE(memory_backend_ram, .name = "memory-backend-ram", .help = "anonymous memory of the host",
            .instance_size = sizeof(MemoryBackend), .properties = ram_properties, .complete = complete_ram,
            .can_delete = can_delete, .destroy = destroy);
OBJECT_TYPE(memory_backend_memfd, .name = "memory-backend-memfd",
            .help = "memory that can be passed to others", .instance_size = sizeof(MemoryBackend),
            .properties = memfd_properties, .complete = complete_memfd, .can_delete = can_delete,
            .destroy = destroy);
OBJECT_TYPE(memory_backend_file, .name = "memory-backend-file", .help = "memory mapped from a file",
            .instance_size = sizeof(MemoryBackend), .properties = file_properties, .complete = complete_file,
            .can_delete = can_delete, .destroy = destroy);

MemoryBackend *memory_backend_find(const char *id, GError **error)
{
    const ObjectType *type;
    void *object = object_find(id, &type);

    if (!object) {
        return fail_null(error, "memory back end '%s' not found", id);
    }
    if (type != &memory_backend_ram && type != &memory_backend_memfd && type != &memory_backend_file) {
        return fail_null(error, "object '%s' is a '%s', not memory", id, type->name);
    }
    return object;
}

MemoryRegion *memory_backend_claim(MemoryBackend *backend, GError **error)
{
    if (backend->claimed) {
        return fail_null(error, "memory back end '%s' is used already", backend->id);
    }
    backend->claimed = true;
    backend->region.ram_block->flags |= RAM_MIGRATABLE; /* from now on it is part of the machine */
    return &backend->region;
}

void memory_backend_release(MemoryBackend *backend)
{
    backend->claimed = false;
    backend->region.ram_block->flags &= ~RAM_MIGRATABLE;
}

uint64_t memory_backend_size(const MemoryBackend *backend)
{
    return backend->size;
}
