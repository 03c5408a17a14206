#!/bin/sh
# Checks that no word of an earlier vocabulary comes back. ARCHITECTURE.md has the glossary of the words in use.
set -eu
cd "$(git rev-parse --show-toplevel)"

status=0
# check WHAT PATTERN PATHS...: fails if a tracked file under PATHS matches the pattern.
check() {
    what=$1 pattern=$2
    shift 2
    if git grep -nE "$pattern" -- "$@" ':!tests/tools/lint' >&2; then
        echo "^ $what" >&2
        status=1
    fi
}

# Names that users see: reasons, conditions, metrics, labels, commands, flags.
check "renamed reason or condition" \
    '\b(AnswerLost|BadAnswer|CredentialsRefused|ConversationOfAnotherOrganization|BestPractices|NotFollowed)\b' .
check "renamed metric" \
    '\b(give_ups|amigo_calls|amigo_call_duration|amigo_lost_answers|budget_(wait|allowed|used|waiting)_|reconciliations_total|expiry_overshoot)' .
check "renamed label value" 'assumption="A[1-5]"' .
check "orphaned is the word" '\b[Rr]esidual\b' .
check "kubectl amigo status is the command" 'kubectl amigo explain|amigo-operator (sandbox|demo)\b' .

# Names in code.
check "renamed type or module" \
    '\b(Setback|SetbackClass|setbacks|Untold|untold|RoleListing|Memories|Aftermath|Guardian|Disappointed|Doorway|ResidualGrants)\b' '*.rs'
check "renamed function" \
    '\b(careful_client\w*|keep_house|keep_in_step|held_back|is_escaped|let_go|senior_to|unanswered|is_junior|carry_out)\b' '*.rs'
check "one meaning a word: choose a name of the field" \
    '\b(struct|enum|type|trait) (Standing|Links?|Named|Facts|Known|Directory|Ledger|Questions?|Desk|Came|Held|Heed|Wish|Switches)\b' '*.rs'
check "constructors are new, from_* or with_*" 'pub (const )?fn (of|to)\(' 'src/*.rs' 'crates/*.rs'

# English.
check "restart, or write again" '\banew\b' .
check "plain documentation English" \
    'least of all|no default any more|is begun again|gone on time|that shall end|[Ll]et people in|May I\b' .

exit $status
