"""What every provider must do, and nothing else yet."""

from aigateway_yourvendor import YourVendor

from aigateway.testing import ProviderConformance


class TestYourVendor(ProviderConformance):
    """Recorded answers in `fixtures = Path(__file__).parent / "fixtures"` are played as well."""

    provider = YourVendor
