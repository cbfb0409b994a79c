import * as semconv from '@opentelemetry/semantic-conventions';
import { expect, test } from 'vitest';
import { ATTR } from './attributes.ts';

test("names that OpenTelemetry defines are OpenTelemetry's", () => {
  expect(ATTR.httpRequestMethod).toBe(semconv.ATTR_HTTP_REQUEST_METHOD);
  expect(ATTR.httpResponseStatusCode).toBe(semconv.ATTR_HTTP_RESPONSE_STATUS_CODE);
  expect(ATTR.httpRequestResendCount).toBe(semconv.ATTR_HTTP_REQUEST_RESEND_COUNT);
  expect(ATTR.httpRoute).toBe(semconv.ATTR_HTTP_ROUTE);
  expect(ATTR.errorType).toBe(semconv.ATTR_ERROR_TYPE);
  expect(ATTR.serviceName).toBe(semconv.ATTR_SERVICE_NAME);
  expect(ATTR.serviceInstanceId).toBe(semconv.ATTR_SERVICE_INSTANCE_ID);
});
