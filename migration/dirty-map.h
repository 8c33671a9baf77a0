/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dirty map: which regions of each RAM block changed lately, and how much.
 *
 * Whoever takes the migration log says so just before it does; the map counts the bits by region, one column per
 * take, and keeps the last few hundred columns.  Any thread; locks nothing that a caller could hold.
 */
#ifndef MIGRATION_DIRTY_MAP_H
#define MIGRATION_DIRTY_MAP_H

/* The log is being emptied; what it holds is old.  The next column begins now. */
void dirty_map_begin(void);
/* The log holds what changed since the last call of either function, and is about to be emptied. */
void dirty_map_sample(void);

#endif
