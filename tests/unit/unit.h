/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share.  They link the library's parts with their hidden
 * symbols visible and do not start it.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

#define UNIT_CASE(suite, test)                                                            \
	do {                                                                              \
		TCase *unit_case_ = tcase_create(#test);                                  \
		tcase_set_timeout(unit_case_, 30);                                        \
		tcase_add_test(unit_case_, test);                                         \
		suite_add_tcase(suite, unit_case_);                                       \
	} while (0)

static inline int unit_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif /* TESTS_UNIT_H */
