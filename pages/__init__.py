"""The pages that people see: the applicant's room, and what all pages have in common."""
