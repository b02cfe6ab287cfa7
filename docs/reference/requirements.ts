/**
 * What was asked of lockgate, as types. Written by hand, from the words of the requirements: where they name a member
 * and not its type, the type is the plainest one that fits. The TypeScript compiler checks what `lockgate describe`
 * prints against it, and a test compares the names with those of the settings, the envelope and the metrics.
 */

/** How streams are delivered, judged and watched: sections `delivery`, `validation` and `monitoring` of the settings. */
export interface StreamingSystemRequirements {
  delivery: {
    protocol: DeliveryProtocol;
    /** What clients try in turn where `protocol` does not work. */
    fallback: DeliveryProtocol[];
    retry: { maxAttempts: number; backoffStrategy: "linear" | "exponential" };
  };
  validation: {
    schemaVersioning: boolean;
    partialValidation: boolean;
    errorRecovery: "skip" | "halt" | "patch";
  };
  monitoring: {
    chunkMetrics: boolean;
    validationErrors: boolean;
    connectionHealth: boolean;
  };
}

/** The first three were asked for; requests that wait are what passes everywhere. */
export type DeliveryProtocol = "SSE" | "WebSocket" | "HTTP2" | "LongPoll";

/** Every record that a reader sees. */
export interface StreamResponse<T> {
  meta: { schema: string; sequence: number; totalChunks: number };
  data: T[];
  errors?: StreamError[];
}

export interface StreamError {
  code: string;
  chunk: number;
  recoverable: boolean;
}

/** What the system is made of, and how it works. */
export interface Solution {
  components: Component[];
  interactionPattern: string;
  validationStages: ValidationStage[];
  metrics: Metric[];
}

export interface Component {
  name: string;
  responsibility: string;
}

export interface ValidationStage {
  name: string;
  schemaVersion: string;
  errorHandling: "retry" | "drop";
}

export interface Metric {
  name: string;
  type: "counter" | "gauge";
  labels: string[];
}
