/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real-time clock. */
#include "tests/qtest/board.h"

enum {
    TIME_LOW = 0,
    TIME_HIGH = 4,
    ALARM_LOW = 8,
    ALARM_HIGH = 12,
    IRQ_ENABLED = 16,
    CLEAR_ALARM = 20,
    ALARM_STATUS = 24,
    CLEAR_INTERRUPT = 28
};

static uint64_t read_time(QTestState *s)
{
    uint64_t low = qtest_readl(s, RTC_BASE + TIME_LOW);

    return low | (uint64_t)qtest_readl(s, RTC_BASE + TIME_HIGH) << 32;
}

static void set_alarm(QTestState *s, uint64_t ns)
{
    qtest_writel(s, RTC_BASE + ALARM_HIGH, ns >> 32);
    qtest_writel(s, RTC_BASE + ALARM_LOW, ns);
}

static void test_wall_clock(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    uint64_t before = g_get_real_time() * 1000;
    uint64_t time = read_time(s);

    g_assert_cmpuint(time, >=, before);
    g_assert_cmpuint(time, <=, g_get_real_time() * 1000 + 1000);
    qtest_quit(s);
}

static void test_set_time(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    uint64_t year_2000 = UINT64_C(946684800) * 1000000000;

    qtest_writel(s, RTC_BASE + TIME_HIGH, year_2000 >> 32);
    qtest_writel(s, RTC_BASE + TIME_LOW, (uint32_t)year_2000);
    g_assert_cmpuint(read_time(s) - year_2000, <, UINT64_C(60) * 1000000000);
    qtest_quit(s);
}

static void test_past_alarm(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    set_alarm(s, 1);
    g_assert_false(board_plic_pending(s, RTC_IRQ));
    qtest_writel(s, RTC_BASE + IRQ_ENABLED, 1);
    g_assert_true(board_plic_pending(s, RTC_IRQ));
    g_assert_cmpuint(qtest_readl(s, RTC_BASE + ALARM_STATUS), ==, 0);
    qtest_quit(s);
}

static void test_future_alarm(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, RTC_BASE + IRQ_ENABLED, 1);
    set_alarm(s, read_time(s) + UINT64_C(3600) * 1000000000);
    g_assert_cmpuint(qtest_readl(s, RTC_BASE + ALARM_STATUS), ==, 1);
    g_assert_false(board_plic_pending(s, RTC_IRQ));
    qtest_writel(s, RTC_BASE + CLEAR_ALARM, 1);
    g_assert_cmpuint(qtest_readl(s, RTC_BASE + ALARM_STATUS), ==, 0);
    qtest_quit(s);
}

static void test_far_alarm(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    uint64_t before;

    qtest_writel(s, RTC_BASE + TIME_HIGH, 0); /* the offset is below zero now */
    before = read_time(s) + 1000000;
    set_alarm(s, before);
    set_alarm(s, UINT64_MAX);
    while (read_time(s) <= before) { /* nor does the one that it replaces */
    }
    g_assert_cmpuint(qtest_readl(s, RTC_BASE + ALARM_STATUS), ==, 1);
    qtest_quit(s);
}

static void test_clear_interrupt(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_irq_intercept_out(s, "rtc");
    qtest_writel(s, RTC_BASE + IRQ_ENABLED, 1);
    set_alarm(s, 1);
    g_assert_true(qtest_get_irq(s, 0));
    qtest_writel(s, RTC_BASE + CLEAR_INTERRUPT, 1);
    g_assert_false(qtest_get_irq(s, 0));
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtc/time/is-the-host's", test_wall_clock);
    g_test_add_func("/rtc/time/can-be-set", test_set_time);
    g_test_add_func("/rtc/alarm/past-one-rings-at-once", test_past_alarm);
    g_test_add_func("/rtc/alarm/future-one-waits", test_future_alarm);
    g_test_add_func("/rtc/alarm/far-one-does-not-ring", test_far_alarm);
    g_test_add_func("/rtc/interrupt/is-cleared", test_clear_interrupt);
    return g_test_run();
}
