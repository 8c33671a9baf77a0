/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What builds with ThreadSanitizer need in addition: see smp_mb(). */
#include "util/atomic.h"

unsigned tsan_fence_word;
