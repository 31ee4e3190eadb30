"""Plans that found a bug once, in the operator or in a copy with a known one in it, and one of each family.

They come first in every campaign, and each is a test of its own.
"""

KEPT = (
    "fail-at-50/1/crash+after@12",
    "fail-at-10/1/crash+after@9",
    "fail-at-50/1/fail+reset-applied+once@12",
    "delete/496617/edit+weight@13",
    "delete/326205/edit+route-deleted@15",
    "delete/1/poison+shared-route@4",
    "candidate-away/1/metrics+down+60@15",
    "promote/1/edit+lease-deleted@4,crash+after@7",
    "retry/1/blur+past+httproutes&modelrollouts+10@12,crash+after@14",
    "promote/1/parted+30+300@9",
    "fail-at-100/1/parted+30+300@16",
    "promote/1/parted+30+30@1",
    "legacy-away/1/poison+shared-route@2",
    "promote/1/poison+stored-garbage@11",
    "pause-resume/1/fail+timeout-applied+minute@6",
    "abort/1/blocked+30@12",
    "fail-at-100/1/blocked+30@13",
    "fail-at-100/1/blocked+30@14",
    "legacy-away/1/parted+30+-300@18",
    "fail-at-10/1/parted+30+300@2",
    "edit-steps/1/blur+silent+httproutes+600@7",
    "delete/1/edit+weight@15",
    "fail-at-10/886219/blur+past+deployments&endpointslices&httproutes&modelrollouts&rolloutactions+10@2,"
    "poison+unicode@2,edit+weight@5",
    "fail-at-50/453375/fail+500+thrice@3,parted+30+300@13",
    "fail-at-50/595037/metrics+empty+60@4,poison+unicode@5,poison+unicode@11",
    "edit-steps/514601/edit+lease-deleted@7,parted+30+-300@18",
    "outage/893794/fail+503+minute@12,fail+reset-applied+minute@18",
    "candidate-away/66927/fail+reset-applied+minute@17,edit+weight@21",
    "fail-at-50/1/held+60+0@10",
    "abort/1/held+60+0@7",
    "fail-at-100/1/fail+late+once@16",
)
