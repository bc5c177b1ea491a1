#!/usr/bin/env bash
# Builds what is needed and runs every test. Options are passed on to ctest (-L unit, -R tokenizer, ...).
step=test
source "$(dirname "$0")/common.sh"
cd "$root"
"$root/scripts/setup.sh" --tests
"$root/scripts/build.sh" release
say "checking layers"
"$python" scripts/check_layers.py
say "making test models"
"$python" tests/fixtures/make_fixtures.py build/release/fixtures
say "fetching real models"
for model in smollm2-135m-instruct minilm-l6; do
  "$python" scripts/fetch_model.py $model || say "no $model: the tests that need it skip"
done
ctest --test-dir build/release --output-on-failure --no-tests=error -j2 "$@"
