"""What every test runs under."""

import shape_checks

shape_checks.install()
