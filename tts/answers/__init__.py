"""Answers: what a response concluded, and whether two conclusions are the same."""

from tts.answers.checker import AnswerChecker
from tts.answers.equivalence import Verdict, normalise, quick_verdict
from tts.answers.extract import extract_answer, extract_answer_or_last_number
from tts.answers.group import Classes, Comparer, Roll, grade, group

__all__ = [
    "AnswerChecker",
    "Classes",
    "Comparer",
    "Roll",
    "Verdict",
    "extract_answer",
    "extract_answer_or_last_number",
    "grade",
    "group",
    "normalise",
    "quick_verdict",
]
