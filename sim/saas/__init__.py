"""What users ask for: applications, their arrivals, their requests and what they were promised."""
