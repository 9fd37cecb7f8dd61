"""What the tests of incidents share: the rows of their page, and the page."""
