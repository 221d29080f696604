"""The rules, pure: no input or output, no clock, no environment. What a rule needs comes in as an argument."""
