"""MLflow's protocols: `scoring` answers what its scoring servers (and SageMaker's) answer."""
