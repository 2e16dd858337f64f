/** What a kernel can do and what it cannot, by the names that agents report; in neither list is what it did not tell. */
export interface KernelFeatures {
  readonly features: readonly string[];
  readonly lacks: readonly string[];
}

type Answers = Readonly<Record<string, 'yes' | 'no' | 'unknown'>>;

/** Of probeKernel() of node-libbpf, which agents and the verifier ask. */
export interface KernelAnswers {
  readonly programTypes: Answers;
  readonly mapTypes: Answers;
  readonly features: Answers;
}

/**
 * Types of programs and maps by libbpf's names, and what else was asked, each in one of two lists, or in none where the kernel
 * did not say. One name may stand for a program type and a map type: having either is having it.
 */
export function kernelFeatures({ programTypes, mapTypes, features }: KernelAnswers): KernelFeatures {
  const answers = [programTypes, mapTypes, features].flatMap((group) => Object.entries(group));
  const named = (wanted: string) => new Set(answers.filter(([, answer]) => answer === wanted).map(([name]) => name));
  const [present, unsure] = [named('yes'), named('unknown')];
  const absent = [...named('no')].filter((name) => !present.has(name) && !unsure.has(name));
  return { features: [...present], lacks: absent };
}
