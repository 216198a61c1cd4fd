"""`python -m ganneal.cli`."""

from ganneal.cli import main

raise SystemExit(main())
