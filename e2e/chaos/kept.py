"""Plans that found a bug once, in the operator or in a copy with a known one in it, and one of each family.

They come first in every campaign, and each is a test of its own.
"""

KEPT = (
    "fail-at-50/1/crash+after@11",
    "fail-at-10/1/crash+after@8",
    "fail-at-50/1/fail+reset-applied+once@11",
    "delete/496617/edit+weight@12",
    "delete/326205/edit+route-deleted@14",
    "delete/1/poison+shared-route@3",
    "candidate-away/1/metrics+down+60@14",
    "promote/1/edit+lease-deleted@3,crash+after@6",
    "retry/1/blur+past+httproutes&modelrollouts+10@11,crash+after@13",
    "promote/1/parted+30+300@8",
    "fail-at-100/1/parted+30+300@15",
    "promote/1/parted+30+30@1",
    "legacy-away/1/poison+shared-route@2",
    "promote/1/poison+stored-garbage@10",
    "pause-resume/1/fail+timeout-applied+minute@5",
    "abort/1/blocked+30@11",
    "fail-at-100/1/blocked+30@12",
    "fail-at-100/1/blocked+30@13",
    "legacy-away/1/parted+30+-300@17",
    "fail-at-10/1/parted+30+300@2",
    "edit-steps/1/blur+silent+httproutes+600@6",
    "delete/1/edit+weight@14",
    "fail-at-10/886219/blur+past+deployments&endpointslices&httproutes&modelrollouts&rolloutactions+10@2,"
    "poison+unicode@2,edit+weight@4",
    "fail-at-50/453375/fail+500+thrice@2,parted+30+300@12",
    "fail-at-50/595037/metrics+empty+60@3,poison+unicode@4,poison+unicode@10",
    "edit-steps/514601/edit+lease-deleted@6,parted+30+-300@17",
    "outage/893794/fail+503+minute@11,fail+reset-applied+minute@17",
    "candidate-away/66927/fail+reset-applied+minute@16,edit+weight@20",
    "fail-at-50/1/held+60+0@9",
    "abort/1/held+60+0@6",
    "fail-at-100/1/fail+late+once@15",
    "abort/1/fail+503+kind@9",
)
