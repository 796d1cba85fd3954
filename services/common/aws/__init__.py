"""AWS: clients with deadlines, a secret from SSM Parameter Store, and the task queue on SQS.

This package translates the SDK's errors into `TransientError` and `PermanentError`. The resources themselves (queues,
user pools) belong to the operator.
"""
