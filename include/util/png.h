/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes small pictures as PNG files. */
#ifndef UTIL_PNG_H
#define UTIL_PNG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* @pixels: @width times @height indices into @palette, row by row from the top.  Neither side is 0.  Any thread. */
bool png_write(const char *path, uint32_t width, uint32_t height, const uint8_t *pixels, const uint8_t palette[256][3],
               GError **error);

#endif
