"""Quotas of queues in cohorts: what each owns, may borrow and may lend, as Kueue reckons it.

Plain arithmetic that needs no simulation: `tree` says what is there, `reclaim` who has to give back.
"""
