/**
 * Bounds what the broker keeps in memory as retained messages: so many topics for each client and so many bytes for
 * each message. What does not fit is still delivered, only not retained: retained messages are hints, never the truth.
 */
export class RetainedLimit {
  private readonly topicsByClient = new Map<string, Set<string>>();

  constructor(private readonly limits: { readonly topicsPerClientMax: number; readonly messageBytesMax: number }) {}

  /** Whether `client` may retain this message; an empty one deletes, and always may. */
  admit(client: string, topic: string, payloadBytes: number): boolean {
    const topics = this.topicsByClient.get(client) ?? new Set<string>();
    if (payloadBytes === 0) {
      topics.delete(topic);
      if (topics.size === 0) this.topicsByClient.delete(client);
      return true;
    }
    if (payloadBytes > this.limits.messageBytesMax) return false;
    if (!topics.has(topic) && topics.size >= this.limits.topicsPerClientMax) return false;
    topics.add(topic);
    this.topicsByClient.set(client, topics);
    return true;
  }
}
