"""What a data validator is: it compares data with what they should be."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from zenml.enums import StackComponentType
from zenml.stack import StackComponent

if TYPE_CHECKING:
    from zenml.data_validators.report import ValidationReport


class BaseDataValidator(StackComponent):
    """Compares data with what they should be, and reports.

    It must look at all of the data, change nothing of it, and report every kind of mistake at once, without the values that are
    wrong: a report is kept as an artifact, and may be shown to people who must not see the data. The smallest one:

        class NotEmpty(BaseDataValidator):
            FLAVOR: ClassVar[str] = "not_empty"
            def validate_data(self, data, schema=None):
                failures = () if len(data) else (Failure(check="rows", message="there are none", count=1),)
                return ValidationReport(rows=len(data), failures=failures)
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.DATA_VALIDATOR

    @abstractmethod
    def validate_data(self, data: Any, schema: Any) -> ValidationReport:
        """Compare. Wrong data are no error: whoever wants one calls `raise_for_failures` of the report.

        Raises:
            TypeError: it cannot look at such data, or use such a schema.
        """
